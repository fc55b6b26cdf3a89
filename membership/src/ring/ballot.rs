//! Single-decree Paxos per epoch.
