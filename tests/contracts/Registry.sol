// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// The registry of the Ethereum Name Service (EIP-137), in which anybody may change anything.
contract Registry {
    event NewOwner(bytes32 indexed node, bytes32 indexed label, address owner);
    event Transfer(bytes32 indexed node, address owner);
    event NewResolver(bytes32 indexed node, address resolver);

    mapping(bytes32 => address) public owner;
    mapping(bytes32 => address) public resolver;

    function setSubnodeOwner(bytes32 node, bytes32 label, address to) external returns (bytes32 subnode) {
        subnode = keccak256(abi.encodePacked(node, label));
        owner[subnode] = to;
        emit NewOwner(node, label, to);
    }

    function setOwner(bytes32 node, address to) external {
        owner[node] = to;
        emit Transfer(node, to);
    }

    function setResolver(bytes32 node, address to) external {
        resolver[node] = to;
        emit NewResolver(node, to);
    }

    function recordExists(bytes32 node) external view returns (bool) {
        return owner[node] != address(0);
    }
}
