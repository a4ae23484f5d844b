package com.gk.ordermanagement.common.models;

/** What every message has. */
public abstract class Event {
  public String type;
  public String orderId;
}
