"""The audit log: who did what with biometric data, in files that show when somebody changes them."""
