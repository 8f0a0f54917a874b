"""What several commands share: options, progress, how a command is stopped, how services' lines look. No command lives here."""
