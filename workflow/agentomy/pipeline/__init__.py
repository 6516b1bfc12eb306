"""From study files to jobs, and from jobs to artifacts."""
