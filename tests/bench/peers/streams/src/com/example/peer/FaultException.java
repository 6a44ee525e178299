package com.example.peer;

/** A record that breaks the contract; the message is the reason. Without a stack: it is an outcome like any other. */
final class FaultException extends Exception {
    private static final long serialVersionUID = 1L;

    FaultException(String reason) {
        super(reason, null, false, false);
    }
}
