"""What SIFIS-Home's "Privacy-Aware Face Recognition" is asked, whatever way the question comes."""
