"""Where the files of the archive live: a folder, or a bucket (`gs://`, `s3://`)."""
