"""`./backup setup`: an administrator is walked through everything that the backup needs in Azure."""
