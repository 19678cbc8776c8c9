"""Is the active domain still right? Confidence, activity, alignment and the policy: pure functions. Control side."""
