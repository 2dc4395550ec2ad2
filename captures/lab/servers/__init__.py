"""Server programs: APIs behind real HTTP servers, with at most one planted bug each."""
