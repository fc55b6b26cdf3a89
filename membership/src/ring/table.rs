//! The owner table editor.
