"""Where jobs keep their files: an S3 bucket or a directory, behind the same few operations; and their archives."""
