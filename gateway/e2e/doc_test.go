// Package e2e tests the whole gateway from outside: real nodes, the embedded bus and RabbitMQ, memory and Redis, and clients that others wrote
// (mosquitto, mqtt.js, rhea, Qpid Proton) next to scripted ones. The tests know the gateway by its ports and its configuration only; package rig
// has what they share. Faults and load are in package faults.
package e2e
