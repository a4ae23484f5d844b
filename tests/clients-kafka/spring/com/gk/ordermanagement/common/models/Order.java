package com.gk.ordermanagement.common.models;

import java.time.LocalDateTime;
import java.util.List;

/** The order as every message of success carries it. */
public class Order {
  public String orderId;
  public List<String> productIds;
  public String customerId;
  public double totalAmount;
  public LocalDateTime placedTime;
  public LocalDateTime confirmedTime;
}
