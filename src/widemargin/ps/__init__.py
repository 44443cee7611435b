"""The parameter server as pure state machines: no clock, no socket, no thread, no Ray."""
