"""How it is seen: sensor, season, atmosphere, light, optics, tone and compression."""
