"""Files that people read and write: clicks, label stacks, tables of tracks, pictures."""
