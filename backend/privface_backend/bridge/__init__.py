"""The user's side for homes without Home Assistant: takes cameras' pictures, anonymizes them, hands them on."""
