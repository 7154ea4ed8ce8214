"""Files that outlive a crash, and locks."""
