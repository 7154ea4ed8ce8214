"""Networks, and the ways to normalize or constrain them."""
