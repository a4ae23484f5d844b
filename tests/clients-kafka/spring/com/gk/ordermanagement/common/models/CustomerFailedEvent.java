package com.gk.ordermanagement.common.models;

public class CustomerFailedEvent extends Event {}
