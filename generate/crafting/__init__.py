"""From a configuration to an adversarial set: jobs, worker processes, the driver of attacks, and what is saved."""
