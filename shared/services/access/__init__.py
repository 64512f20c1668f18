"""Who may do what, how often, and that a form came from a page of ours."""
