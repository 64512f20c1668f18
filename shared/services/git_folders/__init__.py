"""Git folders of the workspace: their branches, made of folders, and folders again."""
