"""Self-contained HTML pages: the Jinja environment, all templates, and embedded pictures."""
