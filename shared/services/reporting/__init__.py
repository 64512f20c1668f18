"""What people are told: reports, digests, mails, dashboard, capacity."""
