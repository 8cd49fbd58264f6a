"""From bytes to decisions: intake, the lane that runs all inference, and what it runs."""
