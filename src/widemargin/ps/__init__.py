"""The parameter server's parts as plain state machines: no clock, socket, thread or process."""
