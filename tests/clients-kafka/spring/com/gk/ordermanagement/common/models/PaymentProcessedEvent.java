package com.gk.ordermanagement.common.models;

public class PaymentProcessedEvent extends Event {
  public Order order;
}
