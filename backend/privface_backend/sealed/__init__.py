"""Sealed mode: the user side finds and represents faces, and sends templates that only its own key could turn back."""
