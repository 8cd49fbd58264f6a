"""What protects the household's data on the disk: the master key, what is derived from it, sealing and projecting."""
