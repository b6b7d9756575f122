"""The nouns: Alert, Incident, Evidence, Claim, Analysis, Message, Receipt, Task. Frozen, typed; no I/O and no clock."""
