package com.gk.ordermanagement.common.models;

public class InventoryFailedEvent extends Event {}
