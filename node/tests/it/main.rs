//! Whole nodes on real sockets.
#![cfg(not(madsim))]

mod all_doors;
mod auth;
mod auth_commands;
mod bad_input;
mod bad_neighbours;
mod bad_settings;
mod bench;
mod child;
mod client_tags;
mod cluster;
mod command_line;
mod doors;
mod explain;
mod grpc;
mod grpc_bad_input;
mod hints;
mod http;
mod keyspace;
mod load;
mod metrics;
mod openapi;
mod peer_bad_input;
mod ports;
mod processes;
mod raw;
mod rebuild;
mod redis_tools;
mod rest;
mod rest_bad_input;
mod rest_client;
mod smart_client;
mod survey;
mod unproven_peers;
