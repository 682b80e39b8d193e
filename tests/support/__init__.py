"""What several tests share: scenes and jobs made by code, servers on the loopback, toy models."""
