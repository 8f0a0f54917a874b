"""A whole Pumasi on one machine: a broker, and every service under a supervisor. No service imports anything from here."""
