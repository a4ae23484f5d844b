package com.gk.ordermanagement.common.models;

public class CustomerValidatedEvent extends Event {
  public Order order;
}
