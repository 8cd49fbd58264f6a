"""How others on the network find REST: its addresses, and the announcement by zeroconf."""
