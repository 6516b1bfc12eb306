"""The package's own source, read once for all tests of a process: nobody edits it while they run."""

from agentomy.provenance import Source

SOURCE = Source()
