package com.gk.ordermanagement.common.models;

public class InventoryReservedEvent extends Event {
  public Order order;
  public boolean inventoryReserved;
}
