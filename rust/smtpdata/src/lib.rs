//! smtpdata
