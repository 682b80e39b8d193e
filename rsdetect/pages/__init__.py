"""Pages of HTML that carry everything in themselves: one environment, and every template here."""
