"""One module a command: arguments to calls, no logic. Whatever is slow is imported inside the function."""
