"""What several kinds of data share: downloads, archives, folders of files, room for samples."""
