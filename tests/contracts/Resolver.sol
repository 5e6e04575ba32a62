// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// A resolver of names (EIP-137), of other chains' addresses (ENSIP-9) and of reverse names (EIP-181).
contract Resolver {
    mapping(bytes32 => mapping(uint256 => bytes)) private addresses;
    mapping(bytes32 => string) public name;

    uint256 private constant ETHEREUM = 60;

    function setAddr(bytes32 node, address to) external {
        addresses[node][ETHEREUM] = abi.encodePacked(to);
    }

    function setAddr(bytes32 node, uint256 coinType, bytes calldata to) external {
        addresses[node][coinType] = to;
    }

    function setName(bytes32 node, string calldata to) external {
        name[node] = to;
    }

    function addr(bytes32 node) external view returns (address) {
        return address(bytes20(addresses[node][ETHEREUM]));
    }

    function addr(bytes32 node, uint256 coinType) external view returns (bytes memory) {
        return addresses[node][coinType];
    }

    function supportsInterface(bytes4 id) external pure returns (bool) {
        return id == 0x01ffc9a7 || id == 0x3b3b57de || id == 0xf1cb7e06 || id == 0x691f3431;
    }
}
