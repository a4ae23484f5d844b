package com.gk.ordermanagement.common.models;

public class OrderPlacedEvent extends Event {
  public Order order;
}
