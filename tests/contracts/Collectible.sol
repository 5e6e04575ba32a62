// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// An ERC-721 collection that anybody may mint into.
contract Collectible {
    event Transfer(address indexed from, address indexed to, uint256 indexed tokenId);

    mapping(uint256 => address) private owners;
    mapping(address => uint256) public balanceOf;

    function mint(address to, uint256 id) external {
        require(owners[id] == address(0), "minted already");
        move(address(0), to, id);
    }

    function transferFrom(address from, address to, uint256 id) external {
        require(from == msg.sender, "not the owner");
        require(to != address(0), "to nobody");
        move(from, to, id);
    }

    function burn(uint256 id) external {
        move(msg.sender, address(0), id);
    }

    function ownerOf(uint256 id) external view returns (address) {
        require(owners[id] != address(0), "no such token");
        return owners[id];
    }

    function supportsInterface(bytes4 id) external pure returns (bool) {
        return id == 0x01ffc9a7 || id == 0x80ac58cd;
    }

    function move(address from, address to, uint256 id) private {
        require(owners[id] == from, "not the owner");
        owners[id] = to;
        if (from != address(0)) balanceOf[from] -= 1;
        if (to != address(0)) balanceOf[to] += 1;
        emit Transfer(from, to, id);
    }
}
