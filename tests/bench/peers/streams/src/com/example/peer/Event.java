package com.example.peer;

/** What counts of an event. */
record Event(String id, String source, String account, int kind, int resource, long amount, String name) {}
