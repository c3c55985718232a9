"""Messages to the applications: who could hear one, sending it, and who acknowledges."""
