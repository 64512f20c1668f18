"""What the services keep between calls: rows and blobs of runs, batches, restores and the manifest."""
