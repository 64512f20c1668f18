"""Stand-ins for what Azure gives an app: managed identities, a Key Vault, and Azure DevOps' tokens of persons."""
